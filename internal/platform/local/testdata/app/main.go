// The program that the tests of the local platform run: its first argument says what it does.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	switch os.Args[1] {
	case "serve":
		serve(syscall.SIGTERM)
	case "count": // how often this was started is written down
		f, err := os.OpenFile(os.Args[2], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = fmt.Fprintln(f, "started")
			f.Close()
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		serve(syscall.SIGTERM)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		serve()
	case "exits":
		fmt.Println("one")
		fmt.Println("two")
		fmt.Fprintln(os.Stderr, "three")
		os.Exit(7)
	case "say":
		fmt.Println("said")
	case "fail":
		os.Exit(3)
	case "eat": // more memory than it may have
		var all [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			all = append(all, b)
		}
	case "kill":
		syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	case "flood":
		for i := range 20000 {
			fmt.Printf("line %d %s\n", i, strings.Repeat("x", 100))
		}
		select {}
	case "longline":
		fmt.Println(strings.Repeat("y", 20000))
		os.Exit(1)
	case "cat":
		for _, path := range os.Args[2:] {
			b, err := os.ReadFile(path)
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			os.Stdout.Write(b)
		}
	case "write":
		for _, path := range os.Args[2:] {
			err := os.WriteFile(path, []byte("x"), 0o600)
			fmt.Printf("%s: %v\n", path, err)
		}
	case "env":
		for _, e := range os.Environ() {
			fmt.Println(e)
		}
	case "dial":
		c, err := net.DialTimeout("tcp", os.Args[2], 3*time.Second)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		c.Close()
	case "syscalls":
		try()
	case "sleep":
		d, _ := time.ParseDuration(os.Args[2])
		time.Sleep(d)
	}
}

func serve(end ...os.Signal) {
	if len(end) > 0 {
		c := make(chan os.Signal, 1)
		signal.Notify(c, end...)
		go func() { <-c; os.Exit(0) }()
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	fmt.Fprintln(os.Stderr, http.ListenAndServe(":80", nil)) // a low port, without a capability
	os.Exit(1)
}

func try() {
	for _, c := range []struct {
		name string
		nr   uintptr
		args [3]uintptr
	}{
		{"mount", syscall.SYS_MOUNT, [3]uintptr{}},
		{"umount2", syscall.SYS_UMOUNT2, [3]uintptr{}},
		{"unshare", syscall.SYS_UNSHARE, [3]uintptr{syscall.CLONE_NEWNS}},
		{"setns", 308, [3]uintptr{}},
		{"keyctl", 250, [3]uintptr{}},
		{"add_key", 248, [3]uintptr{}},
		{"bpf", 321, [3]uintptr{}},
		{"io_uring_setup", 425, [3]uintptr{}},
		{"perf_event_open", 298, [3]uintptr{}},
		{"init_module", 175, [3]uintptr{}},
		{"kexec_load", 246, [3]uintptr{}},
		{"open_by_handle_at", 304, [3]uintptr{}},
		{"userfaultfd", 323, [3]uintptr{}},
		{"reboot", syscall.SYS_REBOOT, [3]uintptr{}},
		{"settimeofday", syscall.SYS_SETTIMEOFDAY, [3]uintptr{}},
		{"swapon", 167, [3]uintptr{}},
		{"pivot_root", 155, [3]uintptr{}},
		{"clone3", 435, [3]uintptr{}},
		{"socket-vsock", syscall.SYS_SOCKET, [3]uintptr{40, 1, 0}},
		{"personality-odd", 135, [3]uintptr{0x0040000, 0, 0}},
		{"getpid", syscall.SYS_GETPID, [3]uintptr{}},
		{"personality-ask", 135, [3]uintptr{0xffffffff, 0, 0}},
	} {
		_, _, errno := syscall.RawSyscall(c.nr, c.args[0], c.args[1], c.args[2])
		fmt.Printf("%s %d\n", c.name, int(errno))
	}
}
