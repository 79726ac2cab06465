# asks: memory-file 31457280
# asks: tmpfs-left 31457280
# asks: leak {"kind":"files","place":"/tmp","count":1,"bytes":31457280,"names":["left"]}
head -c 31457280 /dev/zero >/tmp/left
exec sleep 0.3
