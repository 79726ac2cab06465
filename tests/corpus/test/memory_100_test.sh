# asks: memory 104857600
exec "$DOCKER_TEST" probe touch 100 400
