# asks: cpu 1000000
# asks: cpu-user 1000000
exec "$DOCKER_TEST" probe burn here 1000
