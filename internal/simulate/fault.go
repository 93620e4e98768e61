package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/glint-infra/glint"
)

// A mood is the weather of a world.
type mood struct {
	name      string
	faults    bool // things break
	people    int  // percent of what happens that people do
	bad       int  // percent of versions that do not work
	two       bool // two conductors from the beginning
	overtaken bool // conductors are overtaken in the middle of a turn
	machine   bool // instances take minutes, the platform throttles and says late what there is
	patience  int  // how much longer everything takes
}

var moods = []mood{
	{name: "calm", people: 100, patience: 1},
	{name: "calm", people: 100, bad: 25, patience: 1},
	{name: "stormy", faults: true, people: 30, bad: 15, patience: 1},
	{name: "stormy", faults: true, people: 15, patience: 2},
	{name: "two-headed", people: 80, two: true, bad: 10, overtaken: true, patience: 1},
	{name: "overtaken", people: 100, overtaken: true, patience: 1},
	{name: "two-headed storm", faults: true, people: 30, two: true, overtaken: true, bad: 10, patience: 1},
	{name: "machine-shaped", people: 100, machine: true, patience: 8},
	{name: "machine-shaped storm", faults: true, people: 40, bad: 10, machine: true, patience: 8},
}

// A fault is something that lasts.
type fault int

// The faults that last, other than those of the sim itself.
const (
	clumsy    fault = iota // steps fail, are taken and fail, are taken later, or are lied about
	unlisted               // the platform does not answer a question
	doubled                // instances are listed twice
	storeless              // the store refuses
	forgetful              // the store does what it is asked, and its answer is lost
	faults
)

func (w *world) on(f fault) bool { return w.sim.Now().Before(w.ends[f]) }

// An evil is something bad that can befall a world.
type evil struct {
	name string
	do   func(w *world, name string)
}

// evils is the menu. Each world draws some of it, so that each mixture comes up.
var evils = []evil{
	{"kill", (*world).wound}, {"vanish", (*world).wound}, {"sicken", (*world).wound}, {"stumble", (*world).wound},
	{"drift", (*world).wound}, {"taint", (*world).wound}, {"swap", (*world).wound}, {"kill all", (*world).massacre}, {"sicken all", (*world).massacre},
	{"plant", (*world).plant},
	{"clumsy", (*world).spell}, {"unlisted", (*world).spell}, {"doubled", (*world).spell}, {"storeless", (*world).spell}, {"forgetful", (*world).spell},
	{"blind", (*world).spell}, {"deaf", (*world).spell}, {"refuses", (*world).spell}, {"unasked", (*world).spell}, {"throttle", (*world).spell},
	{"stuck plane", (*world).spell}, {"mute plane", (*world).spell}, {"slow boot", (*world).spell},
	{"silent place", (*world).befallPlace}, {"closed place", (*world).befallPlace}, {"lost place", (*world).befallPlace}, {"late", (*world).spell},
	{"conductor", (*world).succeed}, {"crash", (*world).crash}, {"clock", (*world).clockJump},
}

func (w *world) drawEvils() {
	if !w.mood.faults {
		return
	}
	for _, e := range evils {
		if w.chance(30) {
			w.evils = append(w.evils, e)
		}
	}
}

// befall does something bad.
func (w *world) befall() {
	e := w.evils[w.rng.IntN(len(w.evils))]
	e.do(w, e.name)
	w.hintAll()
}

func (w *world) hintAll() {
	for _, b := range w.bosses {
		if w.hints {
			b.poke(w.time(0, 250*time.Millisecond))
		}
	}
}

func (w *world) say_(name, text string) {
	w.count("fault", name)
	w.tell("> %s %s", name, text)
}

// wound does something bad to one instance.
func (w *world) wound(name string) {
	if ids := w.sim.IDs(); len(ids) > 0 {
		w.hurt(name, one(w, ids...))
	}
}

func (w *world) hurt(name string, id glint.ID) {
	w.say_(name, id.Short())
	switch name {
	case "drift":
		_ = w.sim.Drift(id, "a file was changed")
		return
	case "taint":
		_ = w.sim.Taint(id, "somebody entered it")
		return
	case "swap":
		_ = w.sim.Swap(id, glint.DigestOf([]byte("foreign")))
		return
	}
	w.hit(id)
	switch name {
	case "kill":
		_ = w.sim.Kill(id)
	case "vanish":
		_ = w.sim.Vanish(id)
	case "sicken":
		_ = w.sim.Sicken(id, true)
		if w.chance(50) {
			w.after(w.time(0, 20*time.Second), func() { _ = w.sim.Sicken(id, false) })
		}
	case "stumble":
		_ = w.sim.Stumble(id, true)
		w.after(w.time(0, 20*time.Second), func() { _ = w.sim.Stumble(id, false); w.hintAll() })
	}
}

// massacre does the same to all instances of a service.
func (w *world) massacre(name string) {
	ids := w.sim.IDs()
	if len(ids) == 0 {
		return
	}
	service := one(w, ids...).Service
	for _, id := range ids {
		if id.Service == service {
			w.hurt(name[:len(name)-len(" all")], id)
		}
	}
}

// plant puts an instance into the world that nobody asked for: of a number that is still to come, or of another life.
func (w *world) plant(name string) {
	b, lives := w.head()
	if !lives || len(b.Services) == 0 {
		return
	}
	f := one(w, b.Services...)
	id := glint.ID{Stack: stack, Epoch: b.Epoch, Service: f.Name, N: f.Last + 1000}
	if w.chance(50) {
		id.Epoch, id.N = "foreign", 1
	}
	w.say_(name, id.Key())
	w.promises.planted[id] = true
	w.sim.Plant(glint.InstanceSpec{ID: id, Version: glint.DigestOf([]byte("foreign")), Template: glint.Template{Command: []string{"serve"}}})
}

// spell is something bad that lasts.
func (w *world) spell(name string) {
	d := w.time(time.Second, 30*time.Second) * time.Duration(w.mood.patience)
	w.say_(name, fmt.Sprintf("for %s", d))
	s := w.sim
	set := func(on *bool) {
		*on = true
		w.after(d, func() { *on = false; w.hintAll() })
	}
	until := func(f fault) { w.ends[f] = s.Now().Add(d) }
	switch name {
	case "clumsy":
		until(clumsy)
	case "unlisted":
		until(unlisted)
	case "doubled":
		until(doubled)
	case "storeless":
		until(storeless)
	case "forgetful":
		until(forgetful)
	case "blind":
		set(&s.Blind)
	case "deaf":
		set(&s.Deaf)
	case "refuses":
		set(&s.Refuses)
	case "unasked":
		set(&s.Unasked)
	case "throttle":
		s.Rate = 1
		w.after(d, func() { s.Rate = w.base.Rate })
	case "slow boot":
		s.Boot += w.time(0, 10*time.Second)
		w.after(d, func() { s.Boot = w.base.Boot })
	case "late":
		s.Lag = w.time(time.Second, 10*time.Second)
		w.after(d, func() { s.Lag = w.base.Lag })
	case "stuck plane", "mute plane":
		if len(s.Planes) == 0 {
			return
		}
		p := one(w, s.Planes...)
		if name == "mute plane" {
			set(&p.Mute)
		} else {
			set(&p.Stuck)
		}
	}
}

// succeed puts another conductor in the place of one.
func (w *world) succeed(name string) {
	b := one(w, w.bosses...)
	w.say_(name, "")
	w.fall(b)
	w.hire()
}

// crash ends a conductor with its steps begun and not taken.
func (w *world) crash(name string) {
	b := one(w, w.bosses...)
	if b.turning {
		return
	}
	w.say_(name, b.name)
	if _, lives := w.head(); lives {
		b.turn() // what it has just begun is lost
	}
	if slices.Contains(w.bosses, b) {
		w.fall(b)
	}
	w.hire()
}

// clockJump sets the clock of the conductors.
func (w *world) clockJump(name string) {
	d := one(w, -5*time.Minute, -3*time.Second, 3*time.Second, 5*time.Minute)
	w.say_(name, d.String())
	w.skew, w.jumped, w.jumps = w.skew+d, w.sim.Now(), w.jumps+d.Abs()
}

// calm ends all that is bad.
func (w *world) calm() {
	s := w.sim
	s.Blind, s.Deaf, s.Refuses, s.Unasked = false, false, false, false
	w.ends = [faults]time.Time{}
	for _, p := range s.Planes {
		p.Stuck, p.Mute = false, false
	}
	for _, p := range s.Places {
		s.Hush(p.Name, false)
		s.Close(p.Name, false)
	}
	for _, id := range s.IDs() {
		in, _, _ := s.Look(id)
		if c := w.promises.templates[in.Version].Command; len(c) == 0 || c[0] == "serve" || c[0] == "stubborn" {
			_ = s.Sicken(id, false)
		}
		_ = s.Stumble(id, false)
		if w.promises.planted[id] {
			_ = s.Vanish(id)
		}
	}
	w.hiccup, w.evils, w.slow = 0, nil, 0
	for len(w.bosses) > 1 {
		w.fall(w.bosses[0])
	}
	for len(w.timers) > 0 {
		t := w.timers[0]
		w.timers = w.timers[1:]
		t.do()
	}
	w.hintAll()
}
