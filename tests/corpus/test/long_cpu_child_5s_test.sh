# asks: cpu 5000000
exec "$DOCKER_TEST" probe burn child 5000
