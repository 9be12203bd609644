// Burns one CPU, allocates, waits for a mutex and a channel, and serves net/http/pprof and what it has allocated in all.
package main

import (
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"runtime"
	"sync"
	"time"
)

var sink []byte

//go:noinline
func allocate() { sink = make([]byte, 1<<20) }

//go:noinline
func burn(until time.Time) {
	for time.Now().Before(until) {
	}
}

func main() {
	runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(1)
	runtime.MemProfileRate = 64 << 10
	var lock sync.Mutex
	for range 2 {
		go func() {
			for {
				lock.Lock()
				time.Sleep(time.Millisecond)
				lock.Unlock()
			}
		}()
	}
	go func() {
		for {
			allocate()
			burn(time.Now().Add(10 * time.Millisecond))
		}
	}()
	http.HandleFunc("/allocated", func(w http.ResponseWriter, _ *http.Request) {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		fmt.Fprint(w, stats.TotalAlloc)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	panic(http.Serve(listener, nil))
}
