package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is how wide help is, in columns.
const helpWidth = 80

// useLines has the way in which each command is used say where options go.
func useLines(c *cobra.Command) {
	name, rest, _ := strings.Cut(c.Use, " ")
	switch {
	case strings.Contains(rest, "OPTIONS"), !c.HasParent():
	case c.HasSubCommands():
		rest = strings.TrimSpace("COMMAND " + rest)
	default:
		rest = strings.TrimSpace("[OPTIONS] " + rest)
	}
	c.Use = strings.TrimSpace(name + " " + rest)
	c.DisableFlagsInUseLine = true
	for _, sub := range c.Commands() {
		useLines(sub)
	}
}

// writeHelp prints the help of a command in the manner of the server's.
func writeHelp(w io.Writer, c *cobra.Command) error {
	var b strings.Builder
	use := c.UseLine()
	if !c.HasParent() {
		use = fmt.Sprintf("%s [OPTIONS]\n     %[1]s COMMAND [OPTIONS] ...", c.Name())
	}
	fmt.Fprintf(&b, "Use: %s\n\n%s\n", use, strings.Join(flow(strings.TrimSpace(c.Long)), "\n"))
	writeCommands(&b, c)
	if c.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", c.Example)
	}
	if c.HasParent() {
		fmt.Fprintf(&b, "\nOptions:\n")
		writeOptions(&b, c.LocalFlags())
	}
	if exits := c.Annotations["exit"]; exits != "" {
		fmt.Fprintf(&b, "\nExit codes:\n%s", exits)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeCommands lists the commands of c, by groups if it has any.
func writeCommands(b *strings.Builder, c *cobra.Command) {
	list := func(title, group string) {
		fmt.Fprintf(b, "\n%s\n", title)
		for _, sub := range c.Commands() {
			if sub.GroupID == group && !sub.Hidden {
				fmt.Fprintf(b, " %-*s  %s\n", c.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	for _, group := range c.Groups() {
		list(group.Title, group.ID)
	}
	if len(c.Groups()) == 0 && c.HasAvailableSubCommands() {
		list("Commands:", "")
	}
}

// writeOptions lists the options.
func writeOptions(b *strings.Builder, set *pflag.FlagSet) {
	const column = 25 // where descriptions begin
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		if f.Value.Type() == "bool" {
			value = ""
		}
		names := "     --" + f.Name
		if f.Shorthand != "" {
			names = " -" + f.Shorthand + ", --" + f.Name
		}
		switch value {
		case "":
		case "int", "uint", "uint32", "float":
			names += " N"
		default:
			names += " " + strings.ToUpper(value)
		}
		switch f.DefValue {
		case "", "0", "false", "0s", "[]":
		default:
			text += " (default " + strings.Trim(f.DefValue, "[]") + ")"
		}
		lines := wrap(text, helpWidth-column)
		if len(names) > column-2 {
			fmt.Fprintln(b, names)
			names = ""
		}
		for _, line := range lines {
			fmt.Fprintf(b, "%-*s%s\n", column, names, line)
			names = ""
		}
	})
}

// wrap breaks a text into lines of at most width columns.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// flow breaks the paragraphs of a text into lines anew. Lines that are indented, and
// the ones before and behind them, stay apart.
func flow(text string) (lines []string) {
	paragraph := ""
	end := func() {
		if paragraph != "" {
			lines = append(lines, wrap(paragraph, helpWidth)...)
		}
		paragraph = ""
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || line[0] == ' ' {
			end()
			lines = append(lines, line)
			continue
		}
		paragraph += line + "\n"
	}
	end()
	return lines
}
