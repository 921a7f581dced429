module example.com/hello

go 1.19

require github.com/hako/durafmt v0.0.0-20210608085754-5c1018a4e16b
