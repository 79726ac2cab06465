# asks: cpu 500000
# asks: cpu-system 500000
exec "$DOCKER_TEST" probe burn kernel 500
