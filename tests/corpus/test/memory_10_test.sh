# asks: memory 10485760
exec "$DOCKER_TEST" probe touch 10 400
