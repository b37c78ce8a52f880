package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// envPrefix begins the name of every variable that is ours.
const envPrefix = "SPOKED_"

// Action is what a command line asks for.
type Action int

// The actions.
const (
	ActionServe   Action = iota // run the server
	ActionVersion               // print the version
	ActionHelp                  // print the help text
)

// Invocation is the meaning of one command line.
type Invocation struct {
	Config Config
	Action Action
	// File is the file that was asked for, or empty.
	File string
	// Warnings are messages for the user that stop nothing.
	Warnings []string

	args, env []string
	origins   map[string]Origin // by key, of what is not at its default
}

// Parse reads a server's settings from a file, if there is to be one, from the
// environment, as NAME=VALUE, which beats it, and then from the command line args,
// without the program's name, which beats both. It keeps args and env.
//
// Flags act from left to right, as in beanstalkd: the last of a repeated flag
// wins, and nothing behind -v or -h is looked at. Letters can share a word; a
// letter with a value takes the rest of its word or else the whole next word,
// even an empty one or one that begins with a dash. A long flag takes its value
// from behind an equals sign or from the next word. "--" has no meaning.
//
// A value given by letter is rejected in beanstalkd's words, any other in words
// that begin with the name of the flag or variable. With an error, only the
// warnings of the Invocation are of use: those of what came before it. That of a
// file is a [*FileError]. The file is not read for a command line that serves
// nothing.
func Parse(args, env []string) (Invocation, error) {
	// The file comes first, but where it is, last.
	first, err := parse(args, env, nil)
	if err != nil || first.Action != ActionServe || first.File == "" {
		return first, err
	}
	settings, err := readFile(first.File)
	if err != nil {
		return first, err
	}
	return parse(args, env, settings)
}

// Reload parses the same command line and environment again, with what the file
// says now.
func (inv *Invocation) Reload() (Invocation, error) { return Parse(inv.args, inv.env) }

func parse(args, env []string, settings []setting) (Invocation, error) {
	p := newParser()
	p.inv.args, p.inv.env, p.args = args, env, args
	if err := p.file(settings); err != nil {
		return p.inv, err
	}
	if err := p.environment(env); err != nil {
		return p.inv, err
	}
	for len(p.args) > 0 && p.inv.Action == ActionServe {
		if err := p.word(p.next()); err != nil {
			return p.inv, err
		}
	}
	return p.inv, nil
}

// warn adds a message to the warnings.
func (inv *Invocation) warn(format string, args ...any) {
	inv.Warnings = append(inv.Warnings, fmt.Sprintf(format, args...))
}

// parser is the state of one [Parse].
type parser struct {
	options []Option
	inv     Invocation
	args    []string // not yet read
}

func newParser() *parser {
	return &parser{
		options: Options(),
		inv:     Invocation{Config: Default(), origins: make(map[string]Origin)},
	}
}

// set has the option take a value from there.
func (p *parser) set(o *Option, from Origin, value string) error {
	before := p.inv.Config
	if o.again != nil && from.Level == LevelFlag {
		o.again(&p.inv.Config)
	} else if err := o.set(&p.inv, value); err != nil {
		return err
	}
	if key := o.Key(); key != "" {
		p.inv.origins[key] = from
	}
	for i := range p.options { // one may change another
		if other := &p.options[i]; other.get != nil && other.get(&before) != other.get(&p.inv.Config) {
			p.inv.origins[other.Key()] = from
		}
	}
	return nil
}

// next takes the next word of the command line; there must be one.
func (p *parser) next() string {
	word := p.args[0]
	p.args = p.args[1:]
	return word
}

// environment applies the variables that are ours. An empty one counts as
// unset: it is how unit files and compose files say "nothing".
func (p *parser) environment(env []string) error {
	ours := make(map[string]string)
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) && value != "" {
			ours[name] = value
		}
	}
	for i := range p.options {
		option := &p.options[i]
		value, ok := ours[option.Env]
		if !ok {
			continue
		}
		delete(ours, option.Env)
		if isServiceLink(value) {
			p.inv.warn("%s: ignoring a service link: %s", option.Env, value)
			continue
		}
		if err := p.set(option, Origin{Level: LevelEnvironment, Where: option.Env}, value); err != nil {
			return fmt.Errorf("%s: %w", option.Env, err)
		}
	}
	for _, name := range []string{"SPOKED_SERVER", "SPOKED_TOKEN"} { // what clients need
		delete(ours, name)
	}
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		p.inv.warn("ignoring unknown variable: %s", name)
	}
	return nil
}

// isServiceLink tells a value that a container platform has made up: where
// there is a service called "spoked", Kubernetes sets SPOKED_PORT in every
// container to the likes of tcp://10.0.0.1:11300. It is no setting.
func isServiceLink(value string) bool {
	return strings.HasPrefix(value, "tcp://")
}

// word acts on one word of the command line and on the value that follows it.
func (p *parser) word(word string) error {
	switch {
	case len(word) < 2 || word[0] != '-':
		return fmt.Errorf("unknown argument: %s", word)
	case strings.HasPrefix(word, "--"):
		return p.long(word)
	default:
		return p.letters(word)
	}
}

// long acts on "--name", "--name value" or "--name=value".
func (p *parser) long(word string) error {
	flag, value, inWord := strings.Cut(word, "=")
	option, ok := p.find(flag)
	if !ok {
		return fmt.Errorf("unknown flag: %s", word)
	}
	if option.Value == "" && inWord {
		return fmt.Errorf("flag takes no argument: %s", word)
	}
	if option.Value == "" {
		return p.set(option, flagOrigin(flag), "1")
	}
	if !inWord && len(p.args) == 0 {
		return fmt.Errorf("flag requires an argument: %s", flag)
	}
	if !inWord {
		value = p.next()
	}
	if err := p.set(option, flagOrigin(flag), value); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return nil
}

// letters acts on a word of flags run together, such as "-VFp11300".
func (p *parser) letters(word string) error {
	for i := 1; i < len(word) && p.inv.Action == ActionServe; i++ {
		flag := "-" + word[i:i+1]
		option, ok := p.find(flag)
		if !ok {
			// From one byte before the letter: in a word of one flag, the dash.
			return fmt.Errorf("unknown flag: %s", word[i-1:])
		}
		if option.Value != "" {
			return p.letterValue(option, word[i+1:])
		}
		if err := p.set(option, flagOrigin(flag), "1"); err != nil {
			return err
		}
	}
	return nil
}

// letterValue acts on a letter whose value is the rest of its word or, if
// nothing is left of that, the next word.
func (p *parser) letterValue(option *Option, rest string) error {
	if rest != "" {
		return p.set(option, flagOrigin(option.Short), rest)
	}
	if len(p.args) == 0 {
		return fmt.Errorf("flag requires an argument: %s", option.Short)
	}
	return p.set(option, flagOrigin(option.Short), p.next())
}

// find returns the option with a flag of this name, dashes included.
func (p *parser) find(flag string) (*Option, bool) {
	i := slices.IndexFunc(p.options, func(o Option) bool {
		return o.Short == flag || o.Long == flag
	})
	if i < 0 {
		return nil, false
	}
	return &p.options[i], true
}
