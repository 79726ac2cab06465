# asks: cpu 100000
exec "$DOCKER_TEST" probe burn child 100
