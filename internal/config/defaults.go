package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Defaults returns a file of settings with a line for each option, out of force by
// a #, that has the default, or an example if there is none.
func Defaults(format Format) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Settings of spoked %s. A line that begins with #, but not with a blank behind it,\n"+
		"# has a default, or an example: to set it, take the # away.\n", Version)
	usual := Default()
	group := ""
	for _, o := range Options() {
		if o.get == nil {
			continue
		}
		if o.Group != group {
			group = o.Group
			fmt.Fprintf(&b, "\n# %s\n# %s\n", group, strings.Repeat("-", len(group)))
		}
		fmt.Fprintf(&b, "\n# %s\n", strings.ReplaceAll(sentence(o.Help), "\n", "\n# "))
		between := " = "
		if format == FormatYAML {
			between = ": "
		}
		fmt.Fprintf(&b, "#%s%s%s\n", o.Key(), between, o.sample(&usual))
	}
	return b.String()
}

// sample returns the option's value in c as both formats write it, or what stands
// for it.
func (o *Option) sample(c *Config) string {
	value := o.get(c)
	words, ok := value.(string)
	if !ok {
		return fmt.Sprint(value)
	}
	if words == "" {
		words = o.Example
	}
	return strconv.Quote(words)
}

// sentence returns text with a capital at the beginning and a full stop at the end,
// unless it begins with the name of something.
func sentence(text string) string {
	word, _, _ := strings.Cut(text, " ")
	if !strings.ContainsAny(word, ":.") {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return text + "."
}
