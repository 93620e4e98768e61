// Command glint is the one binary: the server, and the commands by which people and programs speak to it.
// It joins the rooms; it decides nothing about instances itself.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"os/user"
	"syscall"
	"time"

	"golang.org/x/term"
)

func main() {
	// A client that is told to end must first say what goes on without it; the server ends in its own manner.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	m := Main{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Dir: dir, Now: time.Now, By: whoami(),
		Terminal: term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())),
	}
	os.Exit(m.Run(ctx, os.Args[1:]))
}

// Main is one run of the command. Tests start it in their own process.
type Main struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer // what was asked for; what is said about it
	Getenv         func(string) string
	Dir            string // where relative paths begin
	Now            func() time.Time
	By             string // who asks, for the history
	Terminal       bool   // somebody is there to answer questions
}

// whoami names the person, also behind sudo.
func whoami() string {
	name := os.Getenv("SUDO_USER")
	if u, err := user.Current(); name == "" && err == nil {
		name = u.Username
	}
	if name == "" {
		name = "unknown"
	}
	if host, err := os.Hostname(); err == nil && host != "" {
		name += "@" + host
	}
	return name
}
