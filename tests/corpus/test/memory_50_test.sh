# asks: memory 52428800
exec "$DOCKER_TEST" probe touch 50 400
