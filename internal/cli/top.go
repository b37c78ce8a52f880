package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"spoked/internal/top"
)

func (p *Program) topCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "top",
		Short: "watch the tubes of a server on the terminal",
		Long: `Shows the tubes of a server, what goes in and out of them, who waits, and how old the
oldest jobs are, once a second. The key ? lists the keys. The HTTP API, which is looked
for at the server, knows more than beanstalkd's protocol.`,
		Example: "  spoked top\n  spoked top --once --sort oldest",
		Args:    takes(),
	}
	r := p.remoteFlags(c)
	o := top.Options{Input: p.Stdin, Output: p.Stdout, Env: p.Env}
	f := c.Flags()
	interval := seconds(time.Second)
	f.Var(&interval, "interval", "how often the server is asked")
	f.StringVar(&o.Sort, "sort", "", "the `COLUMN` to sort by (default ready)")
	f.BoolVar(&o.Reverse, "reverse", false, "sort the other way round")
	f.StringVar(&o.Filter, "filter", "", "show tubes with that `TEXT` in their names alone")
	f.BoolVar(&o.Once, "once", false, "print what there is to see once, as text, and end")
	f.IntVar(&o.Width, "width", 0, "columns of that text (default those of the terminal, or 100)")
	f.IntVar(&o.Height, "height", 0, "lines of that text (default as many as it takes)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		o.Interval, o.Address = time.Duration(interval), r.server
		to, err := r.api(c.Context())
		switch _, missing := errors.AsType[*noAPIError](err); {
		case err == nil:
			o.Source = top.API(to.client)
		case missing:
			o.Source = top.Wire(r.server)
		default:
			return err
		}
		defer o.Source.Close()
		return top.Run(c.Context(), o)
	}
	return c
}
