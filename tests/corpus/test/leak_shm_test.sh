# asks: tmpfs-left 65536
# asks: leak {"kind":"files","place":"/dev/shm","count":1,"bytes":65536,"outside":true,"names":["left"]}
exec "$DOCKER_TEST" probe shm make left 65536
