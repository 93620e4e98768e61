package conductor

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

func TestAlike(t *testing.T) {
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	whole := func() glint.Fleet {
		return glint.Fleet{
			Name: "web", Since: noon, Rejected: []glint.Digest{"a"}, Members: []glint.Member{{N: 1, Created: noon}},
			Templates: map[glint.Digest]glint.Template{"v": {Command: []string{"run"}, Env: map[string]string{"A": "1"}, Health: &glint.Probe{Interval: 1}}},
		}
	}
	tests := []struct {
		name   string
		change func(f *glint.Fleet)
		alike  bool
	}{
		{"nothing", func(*glint.Fleet) {}, true},
		{"a moment told elsewhere", func(f *glint.Fleet) { f.Since = noon.In(time.FixedZone("here", 3600)) }, true},
		{"another moment", func(f *glint.Fleet) { f.Since = noon.Add(1) }, false},
		{"a word", func(f *glint.Fleet) { f.Rejected = []glint.Digest{"b"} }, false},
		{"fewer words", func(f *glint.Fleet) { f.Rejected = nil }, false},
		{"a member", func(f *glint.Fleet) { f.Members[0].Routed = true }, false},
		{"a member's moment told elsewhere", func(f *glint.Fleet) { f.Members[0].Created = noon.In(time.FixedZone("here", 3600)) }, true},
		{"empty and absent", func(f *glint.Fleet) { f.Done = []glint.Result{} }, true},
		{"behind a pointer", func(f *glint.Fleet) {
			tpl := f.Templates["v"]
			tpl.Health = &glint.Probe{Interval: 2}
			f.Templates["v"] = tpl
		}, false},
		{"no pointer", func(f *glint.Fleet) {
			tpl := f.Templates["v"]
			tpl.Health = nil
			f.Templates["v"] = tpl
		}, false},
		{"in a map", func(f *glint.Fleet) { f.Templates["v"].Env["A"] = "2" }, false},
		{"another key", func(f *glint.Fleet) {
			f.Templates["w"] = f.Templates["v"]
			delete(f.Templates, "v")
		}, false},
	}
	for _, tt := range tests {
		changed := whole()
		tt.change(&changed)
		if alike(whole(), changed) != tt.alike || alike(changed, whole()) != tt.alike {
			t.Errorf("%s: alike is %v", tt.name, !tt.alike)
		}
	}
}
