# asks: cpu 1000000
exec "$DOCKER_TEST" probe burn child 1000
