package local

import "github.com/glint-infra/glint"

// Plain makes the platform do with the runtime alone what it otherwise does in process.
func (p *Platform) Plain() { p.keepers.plain = true }

// Compiled is the path of the compiled system call filter.
func (p *Platform) Compiled() string { return p.filter.path }

// KeeperOf is the pid of an instance's conmon.
func (p *Platform) KeeperOf(key string) int {
	for id, in := range p.lives {
		if id.Key() == key {
			r, _ := in.record()
			return r.Keeper.Pid
		}
	}
	return 0
}

// LinkOf is the host's end of an instance's wire.
func (p *Platform) LinkOf(id glint.ID) string {
	r, _ := p.lives[id].record()
	return r.Link
}

var (
	Insert   = insert
	NextFree = nextFree
)

// A Span is a range of numbers.
type Span = span

// Joined returns the texts of the whole lines in what conmon wrote.
func Joined(raw ...string) (texts []string) {
	j := joiner{map[string]string{}}
	for _, r := range raw {
		if l, ok := j.add(r); ok {
			texts = append(texts, l.stream+":"+l.text)
		}
	}
	return texts
}
