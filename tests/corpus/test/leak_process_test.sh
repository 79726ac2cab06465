# asks: leak {"kind":"process","name":"leftover"}
exec "$DOCKER_TEST" probe leave make process
