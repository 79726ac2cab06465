# asks: cpu 500000
exec "$DOCKER_TEST" probe burn child 500
