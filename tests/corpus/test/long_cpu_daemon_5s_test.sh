# asks: cpu 5000000
exec "$DOCKER_TEST" probe burn daemon 5000
