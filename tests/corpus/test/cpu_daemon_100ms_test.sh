# asks: cpu 100000
exec "$DOCKER_TEST" probe burn daemon 100
