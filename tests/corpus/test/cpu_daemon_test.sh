# asks: cpu 500000
exec "$DOCKER_TEST" probe burn daemon 500
