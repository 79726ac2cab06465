# asks: memory-spike 209715200
exec "$DOCKER_TEST" probe touch 200 0
