# asks: memory-spike 20971520
exec "$DOCKER_TEST" probe touch 20 0
