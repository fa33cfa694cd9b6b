package provider

// CSVProvider would have prices of a file in a cloud's bucket: these are those of
// the custom one.
type CSVProvider struct {
	*CustomProvider
	CSVLocation string
}
