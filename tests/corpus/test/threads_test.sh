# asks: threads 21
# asks: processes 21
exec "$DOCKER_TEST" probe threads 20 1500
