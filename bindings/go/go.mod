module libdsa

go 1.24
