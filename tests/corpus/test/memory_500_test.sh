# asks: memory 524288000
exec "$DOCKER_TEST" probe touch 500 400
