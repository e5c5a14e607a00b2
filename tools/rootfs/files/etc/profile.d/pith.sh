# The whole system is UTF-8: terminals, names of files.
export LANG=C.UTF-8
