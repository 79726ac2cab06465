# asks: threads 31
# asks: processes 31
exec "$DOCKER_TEST" probe processes 30 1500
