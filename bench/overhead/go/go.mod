module overhead

go 1.24

require libdsa v0.1.0

replace libdsa => ../../../bindings/go
