package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"spoked/internal/config"
)

// manCommand returns the command that writes man pages, for those who make packages.
func (p *Program) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "write man pages",
		Long:   "Writes a page in section 1 for the server, and one for each command, to the directory DIR.",
		Args:   takes("DIR"),
		Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := (&Program{}).tree(c.Root().Name()) // with no defaults from the environment
			root.DisableAutoGenTag = true
			root.Use += " [OPTIONS] | COMMAND [OPTIONS] ..."
			markdown(root)
			documentServer(root.Flags())
			if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "spoked " + config.Version, Manual: "spoked"}, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(p.Stdout, "wrote %s to %s\n", plural(pages(root), "page"), args[0])
			return err
		},
	}
}

// pages returns how many pages there are of c and its commands.
func pages(c *cobra.Command) int {
	n := 1
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && !sub.IsAdditionalHelpTopicCommand() {
			n += pages(sub)
		}
	}
	return n
}

// markdown has the descriptions of commands keep the lines that are indented, and adds
// their exit codes.
func markdown(c *cobra.Command) {
	text := c.Long
	if exits := c.Annotations["exit"]; exits != "" {
		text += "\n\nExit codes:\n" + exits
	}
	var b strings.Builder
	indented := false
	for line := range strings.SplitSeq(text, "\n") {
		if is := strings.HasPrefix(line, " "); is != indented {
			b.WriteByte('\n')
			indented = is
		}
		if indented {
			line = "    " + line
		}
		b.WriteString(line + "\n")
	}
	c.Long = b.String()
	for _, sub := range c.Commands() {
		markdown(sub)
	}
}

// documentServer gives f the options of the server. They are read by internal/config;
// these are for documents.
func documentServer(f *pflag.FlagSet) {
	for _, o := range config.Options() {
		if o.Long == "" {
			continue
		}
		help := strings.ReplaceAll(o.Help, "\n", " ")
		if o.Env != "" {
			help += "; " + o.Env
		}
		name, short := strings.TrimPrefix(o.Long, "--"), strings.TrimPrefix(o.Short, "-")
		if o.Value == "" {
			f.BoolP(name, short, false, help)
		} else {
			f.StringP(name, short, o.Default, "`"+o.Value+"`: "+help)
		}
	}
}
