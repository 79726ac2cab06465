# asks: leak {"kind":"sysv-ipc","what":"shm","count":1}
# asks: leak {"kind":"sysv-ipc","what":"sem","count":1}
# asks: leak {"kind":"sysv-ipc","what":"msg","count":1}
exec "$DOCKER_TEST" probe sysv make
