package config

// Level is a kind of place where a setting can come from.
type Level string

// The levels. Each beats those before it.
const (
	LevelDefault     Level = "default"
	LevelFile        Level = "file"
	LevelEnvironment Level = "environment"
	LevelFlag        Level = "flag"
)

// Origin is where a setting comes from.
type Origin struct {
	Level Level `json:"level"`
	// Where is FILE:LINE, the name of the variable or the flag, or empty for a
	// default.
	Where string `json:"where,omitempty"`
}

// String returns what a user knows the place by.
func (o Origin) String() string {
	if o.Where == "" {
		return string(o.Level)
	}
	return o.Where
}

func flagOrigin(flag string) Origin { return Origin{Level: LevelFlag, Where: flag} }

// Setting is what one option comes to.
type Setting struct {
	// Name is the option's long name without dashes, which is its key in a file.
	Name string `json:"name"`
	// Value and Default are a string, an int64 or a bool; text is empty if there is
	// nothing.
	Value   any `json:"value"`
	Default any `json:"default"`
	// From is where the value comes from.
	From Origin `json:"from"`
	// Live says that a running server can change it.
	Live bool `json:"reloadable"`
}

// Effective returns what each option comes to, in the order of the help text.
func Effective(inv *Invocation) (settings []Setting) {
	usual := Default()
	for _, o := range Options() {
		if o.get == nil {
			continue
		}
		s := Setting{
			Name: o.Key(), Value: o.get(&inv.Config), Default: o.get(&usual),
			From: Origin{Level: LevelDefault}, Live: o.Live,
		}
		if from, ok := inv.origins[s.Name]; ok {
			s.From = from
		}
		settings = append(settings, s)
	}
	return settings
}

// Change is a setting that differs between two invocations.
type Change struct {
	Setting
	// Old is the value before.
	Old any
}

// Changes returns what differs from the settings old in those of inv, in the order of
// the help text.
func Changes(old *Config, inv *Invocation) (changes []Change) {
	options := make(map[string]Option)
	for _, o := range Options() {
		options[o.Key()] = o
	}
	for _, s := range Effective(inv) {
		o := options[s.Name]
		if before := o.get(old); before != s.Value {
			changes = append(changes, Change{Setting: s, Old: before})
		}
	}
	return changes
}
