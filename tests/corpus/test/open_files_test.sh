# asks: open-files 203
exec "$DOCKER_TEST" probe open-files 200 1500
