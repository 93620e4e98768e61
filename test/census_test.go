package test

import (
	"encoding/json"
	"os/exec"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A person is an instance as glint ps tells of it.
type person struct {
	ID      string    `json:"id"`
	N       int       `json:"n"`
	Pid     int       `json:"pid"`
	Routed  bool      `json:"routed"`
	Leaving string    `json:"leaving"`
	Created time.Time `json:"created"`
}

// people asks glint ps.
func people(ts *testscript.TestScript) []person {
	cmd := exec.Command(bin, "ps", "-o", "json")
	cmd.Dir, cmd.Env = ts.MkAbs("."), []string{"GLINT_SOCKET=" + ts.Getenv("GLINT_SOCKET")}
	out, err := cmd.Output()
	ts.Check(err)
	var all []person
	if err := json.Unmarshal(out, &all); err != nil {
		ts.Fatalf("glint ps: %v in %s", err, out)
	}
	return all
}

// sampled is how often a census looks.
const sampled = 2 * time.Second

// A census is what many looks at the instances of one service have shown.
type census struct {
	looks, most, fewest int
	oldest              time.Duration
	births              map[int]time.Time
	first, last         int // the highest number at the beginning, and at the end
}

// cmdCensus: census DURATION WANTED SURGE MAX-AGE TOLERANCE — looks again and again at the instances of the only service.
// At no look are there more than WANTED and SURGE that stay, fewer than WANTED that take traffic, or one that is older than
// MAX-AGE and TOLERANCE. As many are replaced as that means, and they are not all born together.
func cmdCensus(ts *testscript.TestScript, neg bool, args []string) {
	d := func(i int) time.Duration { v, err := time.ParseDuration(args[i]); ts.Check(err); return v }
	length, wanted, surge, maxAge, tolerance := d(0), atoi(ts, args[1]), atoi(ts, args[2]), d(3), d(4)
	c := census{fewest: wanted, births: map[int]time.Time{}}
	began := time.Now()
	for time.Since(began) < length {
		c.look(ts, wanted, surge, maxAge+tolerance)
		time.Sleep(sampled)
	}
	took := time.Since(began)
	replaced, together := c.last-c.first, c.together(began.Add(maxAge), maxAge/time.Duration(wanted))
	ts.Logf("census: %d looks in %s: at most %d instances that stay, never fewer than %d that take traffic, the oldest was %s, %d were replaced, at most %d were born within %s",
		c.looks, took.Round(time.Second), c.most, c.fewest, c.oldest.Round(time.Millisecond), replaced, together, maxAge/time.Duration(wanted))

	// Nobody goes before half of max_age, and nobody but the first generation, which has to spread out, more than an even
	// share of it before its time.
	least := int(float64(wanted) * (float64(took)/float64(maxAge+tolerance) - 1))
	most := int(float64(wanted) * (float64(took)/float64(maxAge-maxAge/time.Duration(wanted)) + 1))
	if replaced < least || replaced > most {
		ts.Fatalf("%d were replaced in %s, want from %d to %d", replaced, took, least, most)
	}
	if 3*together > 2*wanted { // evenly spread it is half as many; of those that synchronise it is all
		ts.Fatalf("%d of %d were born within %s: births synchronise: %v", together, wanted, maxAge/time.Duration(wanted), c.births)
	}
}

func (c *census) look(ts *testscript.TestScript, wanted, surge int, oldest time.Duration) {
	asked := time.Now() // who is old before the answer has come was old when it was given
	staying, serving := 0, 0
	for _, in := range people(ts) {
		if c.looks == 0 {
			c.first = max(c.first, in.N)
		}
		c.last = max(c.last, in.N)
		c.births[in.N] = in.Created
		age := asked.Sub(in.Created)
		c.oldest = max(c.oldest, age)
		if age > oldest {
			ts.Fatalf("%s is %s old, want %s at most\nthe server says:\n%s", in.ID, age, oldest, under(ts).log.String())
		}
		if in.Leaving == "" {
			staying++
		}
		if in.Routed {
			serving++
		}
	}
	c.looks++
	c.most, c.fewest = max(c.most, staying), min(c.fewest, serving)
	if staying > wanted+surge || serving < wanted {
		ts.Fatalf("%d instances stay and %d take traffic; want at most %d, and at least %d\nthe server says:\n%s", staying, serving, wanted+surge, wanted, under(ts).log.String())
	}
}

// together is the greatest number of instances that were born within a span, after since.
func (c *census) together(since time.Time, span time.Duration) int {
	most := 0
	for _, at := range c.births {
		n := 0
		for _, b := range c.births {
			if gap := b.Sub(at); at.After(since) && gap >= 0 && gap < span {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
