# asks: leak {"kind":"message-queue","name":"left"}
exec "$DOCKER_TEST" probe mqueue make left
