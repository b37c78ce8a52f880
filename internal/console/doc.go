// Package console is the server's web console: pages that show what is in the
// queue and why, and put it right.
//
// A page is rendered here, from a template (pages) and values of internal/manage
// and internal/history, and is complete without a script. What is in the browser
// besides are htmx, which puts parts of pages in their places, uPlot, which draws
// charts, and console.js, all in assets and served from here. Each page has one
// stream that tells it what is new (live.go), which is rendered once for all who
// look at the same.
//
// What changes anything is a deed (deed.go): a POST that asks, which counts what
// it would do and says whether it can be undone, and one that does it.
//
// Nothing here trusts a body or a name: html/template escapes them, the
// content-security policy forbids scripts and styles in a page, and a body that is
// downloaded is bytes and nothing else.
package console
