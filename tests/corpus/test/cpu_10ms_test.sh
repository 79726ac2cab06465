# asks: cpu 10000
exec "$DOCKER_TEST" probe burn here 10
