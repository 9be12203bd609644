// A program that is busy for a while under Pyroscope's own Go agent.
package main

import (
	"os"
	"time"

	"github.com/grafana/pyroscope-go"
)

//go:noinline
func busy(until time.Time) (total int) {
	for time.Now().Before(until) {
		for i := 0; i < 1000; i++ {
			total += i * i
		}
	}
	return total
}

func main() {
	profiler, err := pyroscope.Start(pyroscope.Config{
		ApplicationName: "go-program",
		ServerAddress:   os.Args[1],
		UploadRate:      2 * time.Second,
		Tags:            map[string]string{"language": "go"},
		ProfileTypes:    []pyroscope.ProfileType{pyroscope.ProfileCPU, pyroscope.ProfileInuseSpace, pyroscope.ProfileAllocSpace},
	})
	if err != nil {
		panic(err)
	}
	busy(time.Now().Add(5 * time.Second))
	if err := profiler.Stop(); err != nil {
		panic(err)
	}
}
