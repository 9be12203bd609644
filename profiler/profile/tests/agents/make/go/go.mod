module agents

go 1.24
