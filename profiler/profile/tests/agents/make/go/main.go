// Writes three profiles of itself: CPU with labels, heap, goroutines.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sort"
	"strconv"
	"sync"
	"time"
)

var kept [][]byte

func hash(until time.Time) {
	var sum [32]byte
	for time.Now().Before(until) {
		for range 1000 {
			sum = sha256.Sum256(sum[:])
		}
	}
}

func order(until time.Time) {
	for time.Now().Before(until) {
		words := make([]string, 5000)
		for i := range words {
			words[i] = strconv.Itoa(i * 7919 % 5003)
		}
		sort.Strings(words)
	}
}

func keep(size, count int) {
	for range count {
		kept = append(kept, bytes.Repeat([]byte{1}, size))
	}
}

func write(dir, name, profile string) {
	file, err := os.Create(filepath.Join(dir, name+".pb.gz"))
	if err != nil {
		panic(err)
	}
	defer file.Close()
	if profile == "cpu" {
		err = pprof.StartCPUProfile(file)
		until := time.Now().Add(1500 * time.Millisecond)
		var group sync.WaitGroup
		for _, work := range []struct {
			operation string
			run       func(time.Time)
		}{{"hash", hash}, {"sort", order}} {
			group.Add(1)
			go func() {
				defer group.Done()
				labels := pprof.Labels("operation", work.operation, "member", "fixture")
				pprof.Do(context.Background(), labels, func(context.Context) { work.run(until) })
			}()
		}
		group.Wait()
		pprof.StopCPUProfile()
	} else {
		err = pprof.Lookup(profile).WriteTo(file, 0)
	}
	if err != nil {
		panic(err)
	}
}

func main() {
	runtime.MemProfileRate = 4096
	write(os.Args[1], "go-cpu", "cpu")

	keep(256, 2000)
	keep(64<<10, 20)
	runtime.GC()
	write(os.Args[1], "go-heap", "heap")

	hold := make(chan struct{})
	for i := range 6 {
		labels := pprof.Labels("worker", strconv.Itoa(i%3))
		go pprof.Do(context.Background(), labels, func(context.Context) { <-hold })
	}
	time.Sleep(50 * time.Millisecond)
	write(os.Args[1], "go-goroutine", "goroutine")
}
