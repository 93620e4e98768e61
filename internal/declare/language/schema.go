// Package language describes what may be written in a declaration: every block and attribute with its type, range, default and
// meaning. It does not read text.
package language

import (
	"strings"

	"github.com/glint-infra/glint"
)

// A Schema says what may stand in a declaration. The checker, and whatever else must know the language (a language
// server, the reference in the documentation), read the same description.
type Schema interface {
	// Top describes what may stand at the top of a file.
	Top() *Body
	// Body describes the inside of a block, found by the kinds of blocks from the top: "service", "health", "http".
	Body(kinds ...string) (*Body, bool)
}

// A Body is what may stand between the braces of a block. What is not described is refused.
type Body struct {
	Attributes []Attribute
	Blocks     []Block
	OneOf      []string          // kinds of blocks of which exactly one must stand
	Foreign    map[string]string // what people may expect here and why it is not, with what to do instead
}

// A Block is a kind of block.
type Block struct {
	Kind     string
	Doc      string
	Label    *Form    // what its one label may look like; nil: it has none
	Once     bool     // at most one in its body (or in the whole declaration)
	Required bool     // at least one
	Aliases  []string // what other tools call it
	Body     *Body
}

// An Attribute is a kind of attribute.
type Attribute struct {
	Name     string
	Doc      string
	Type     *Type
	Required bool
	Default  string   // as a person would write it, without quotes; empty: none, or Doc says what it depends on
	Source   string   // where the default or the bounds come from
	Short    string   // the kind of block for which it is a short form
	Aliases  []string // what other tools call it

	Fallback int64 // Default in the unit of Type
}

// A Kind is a form of value.
type Kind string

// The kinds of value.
const (
	KindText     Kind = "text"
	KindWhole    Kind = "whole number"
	KindDuration Kind = "duration"      // written with its unit; counted in nanoseconds
	KindSize     Kind = "size"          // written with its unit; counted in bytes
	KindCPU      Kind = "amount of CPU" // written with its unit; counted in thousandths of a core
	KindList     Kind = "list"
	KindMap      Kind = "map"
	KindRef      Kind = "reference"
	KindCall     Kind = "call" // one of the functions in Calls
)

// What a reference may lead to, as To says it.
const (
	ToImage  = "image"
	ToPort   = "port"
	ToEither = "service or task"
)

// A Type says which values an attribute may have.
type Type struct {
	Kind     Kind
	Form     *Form    // of a text
	Enum     []string // the only texts; nil: any
	Live     bool     // references to addresses may stand in the text
	Min, Max int64    // of a whole number, duration, size or CPU, both allowed
	Elem     *Type    // of a list or map
	Key      *Form    // of a map
	Nonempty bool     // of a list
	To       string   // of a reference: what it leads to, for people
	Calls    []Call   // functions that may stand for the value
	Example  string   // as a person would write it, with quotes
}

// A Call is a function that may stand for a value: debian("bookworm").
type Call struct {
	Name     string
	Doc      string
	Params   []Type
	Optional int // how many of the last Params may be left out
	Example  string
}

// A Form says what a text may look like.
type Form struct {
	Name  string // with its article: "a name"
	Want  string // what is wanted, for people
	Check func(text string) (mend string, ok bool)
}

type language struct{ top *Body }

func (l language) Top() *Body { return l.top }

func (l language) Body(kinds ...string) (*Body, bool) {
	b := l.top
	for _, kind := range kinds {
		block := b.Block(kind)
		if block == nil {
			return nil, false
		}
		b = block.Body
	}
	return b, true
}

var whole = language{prepare(top0())}

// Language returns the description of the language as it is spoken today.
func Language() Schema { return whole }

// Attribute returns the attribute of that name, or nil.
func (b *Body) Attribute(name string) *Attribute {
	for i := range b.Attributes {
		if b.Attributes[i].Name == name {
			return &b.Attributes[i]
		}
	}
	return nil
}

// Block returns the kind of block of that name, or nil.
func (b *Body) Block(kind string) *Block {
	for i := range b.Blocks {
		if b.Blocks[i].Kind == kind {
			return &b.Blocks[i]
		}
	}
	return nil
}

// prepare counts the defaults. A default that its own type refuses is a mistake in the description.
func prepare(b *Body) *Body {
	for i := range b.Attributes {
		a := &b.Attributes[i]
		if a.Default == "" || a.Type.Kind == KindText {
			continue
		}
		n, err := a.Type.Parse(a.Default)
		if err != nil || n < a.Type.Min || n > a.Type.Max {
			panic("declare: default of " + a.Name + ": " + a.Default)
		}
		a.Fallback = n
	}
	for i := range b.Blocks {
		prepare(b.Blocks[i].Body)
	}
	return b
}

// Parse reads a number of the type's kind.
func (t *Type) Parse(s string) (int64, error) {
	switch t.Kind {
	case KindDuration:
		d, err := glint.ParseDuration(s)
		return int64(d), err
	case KindSize:
		b, err := glint.ParseBytes(s)
		return int64(b), err
	case KindCPU:
		c, err := glint.ParseCPU(s)
		return int64(c), err
	default:
		return parseWhole(s)
	}
}

// Show writes a number of the type's kind.
func (t *Type) Show(n int64) string {
	switch t.Kind {
	case KindDuration:
		if n > 0 && n%day == 0 {
			return showWhole(n/day) + "d"
		}
		return glint.Duration(n).String()
	case KindSize:
		return glint.Bytes(n).String()
	case KindCPU:
		return glint.CPU(n).String()
	default:
		return showWhole(n)
	}
}

// Want says in words what may stand for the type.
func (t *Type) Want() string {
	if t.Kind == KindCall || t.Kind == KindText && len(t.Enum)+len(t.Calls) > 0 {
		var all []string
		for _, e := range t.Enum {
			all = append(all, `"`+e+`"`)
		}
		return "want " + Either(append(all, t.Examples()...))
	}
	if len(t.Calls) == 0 {
		return t.Plain()
	}
	return t.Plain() + ", or " + Either(t.Examples())
}

// Examples returns the functions that may stand for the type, as a person would write them.
func (t *Type) Examples() []string {
	var all []string
	for _, c := range t.Calls {
		all = append(all, c.Example)
	}
	return all
}

// Plain says in words what may stand for the type, but for functions.
func (t *Type) Plain() string {
	switch {
	case t.Kind == KindRef:
		return "want " + Article(t.To) + ", such as " + t.Example
	case t.Kind == KindText && t.Form != nil:
		return "want " + t.Form.Want
	case t.Kind == KindCPU:
		return `want an amount of CPU: "250m" (thousandths of a core) or "2" (cores)`
	case t.Kind == KindWhole:
		return "want a whole number from " + t.Show(t.Min) + " to " + t.Show(t.Max)
	}
	return "want " + Article(string(t.Kind)) + ", such as " + t.Example
}

// Article puts "a" or "an" before a noun.
func Article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// Either lists what may stand in one place: a, b or c.
func Either(all []string) string {
	if n := len(all); n > 1 {
		return strings.Join(all[:n-1], ", ") + " or " + all[n-1]
	}
	return strings.Join(all, "")
}
