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
			root := c.Root()
			root.DisableAutoGenTag = true
			root.Long += "\n\n" + manSections
			documentServer(root.Flags())
			before, err := os.ReadDir(args[0])
			if err != nil {
				return err
			}
			if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "spoked " + config.Version, Manual: "spoked"}, args[0]); err != nil {
				return err
			}
			after, err := os.ReadDir(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.Stdout, "wrote %s to %s (%s there before)\n", plural(len(after)-len(before), "page"), args[0], count(len(before)))
			return err
		},
	}
}

const manSections = `Exit codes of commands: 0 done; 1 it failed, or a part of it did; 2 what it was to work
on is not there; 3 no server answers; 4 the server wants a token, or another one; 5 the
command line makes no sense; 10 no journal, or one in use; 130 interrupted.`

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
