# asks: tmpfs-left 1000000
# asks: leak {"kind":"files","place":"/dev/shm","count":1,"bytes":1000000,"outside":true,"names":["left"]}
exec head -c 1000000 /dev/zero >/dev/shm/left
