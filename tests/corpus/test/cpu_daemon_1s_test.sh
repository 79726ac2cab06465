# asks: cpu 1000000
exec "$DOCKER_TEST" probe burn daemon 1000
