package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A job is what a worker is asked to do: one line of JSON. Workers stand in control groups of their own, so that their CPU
// time is not mixed with ours.
type job struct {
	Do       string        `json:"do"` // "requests", "begin", "end"
	Requests *requests     `json:"requests,omitempty"`
	Bare     *bareInstance `json:"bare,omitempty"`
}

// A result answers a job.
type result struct {
	Sent   int           `json:"sent,omitempty"`
	Failed int           `json:"failed,omitempty"`
	Why    string        `json:"why,omitempty"`  // the first failed request
	Took   time.Duration `json:"took,omitempty"` // ns
	Error  string        `json:"error,omitempty"`
}

// A worker is our end of one.
type worker struct {
	*child
	in  io.WriteCloser
	out *json.Decoder
}

// worker starts one in a group. With view, it sees no control groups of version 2 where there are those of version 1 too: crun 1.8
// refuses to start anything where it sees both.
func (w *world) worker(group string, view bool) (*worker, error) {
	cmd, err := w.command(group, w.Self, "bench", "worker")
	if err != nil {
		return nil, err
	}
	cmd.Stderr = w.said
	if view && !w.v2 {
		cmd.SysProcAttr = &unix.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
		cmd.Args = append(cmd.Args, "--cover")
	}
	theirs, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	out, answers, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	defer answers.Close()
	cmd.Stdin, cmd.Stdout = theirs, answers
	s := &worker{in: in, out: json.NewDecoder(out)}
	if s.child, err = begin(cmd); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a worker: %w", err), in.Close(), out.Close())
	}
	w.workers = append(w.workers, s)
	return s, nil
}

// do has a job done.
func (s *worker) do(j job) (result, error) {
	if err := json.NewEncoder(s.in).Encode(j); err != nil {
		return result{}, fmt.Errorf("asking a worker to %s: %w", j.Do, err)
	}
	var r result
	if err := s.out.Decode(&r); err != nil {
		return r, fmt.Errorf("a worker that was asked to %s says nothing: %w", j.Do, err)
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

func (s *worker) end() error {
	return errors.Join(s.in.Close(), s.stop(unix.Signal(0))) // it ends with its input
}

// Work is the worker's end: it does what is asked on in until in ends. It is not for people.
func Work(in io.Reader, out io.Writer, cover bool) error {
	if cover {
		if err := coverUnified(); err != nil {
			return err
		}
	}
	answers := json.NewEncoder(out)
	lines := bufio.NewScanner(in)
	living := map[string]*bareLife{}
	for lines.Scan() {
		var j job
		r, err := result{}, json.Unmarshal(lines.Bytes(), &j)
		switch {
		case err != nil:
		case j.Do == "requests" && j.Requests != nil:
			r = j.Requests.send()
		case j.Do == "begin" && j.Bare != nil:
			begun := time.Now()
			living[j.Bare.ID], err = j.Bare.begin()
			r.Took = time.Since(begun)
		case j.Do == "end" && living[j.Bare.ID] != nil:
			err = living[j.Bare.ID].end()
			delete(living, j.Bare.ID)
		default:
			err = fmt.Errorf("there is no job %q", j.Do)
		}
		if err != nil {
			r.Error = err.Error()
		}
		if err := answers.Encode(r); err != nil {
			return err
		}
	}
	return lines.Err()
}
