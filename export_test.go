package pgws

// Values are the options as the variables they stand for.
func (o *Options) Values() map[string]string { return o.values() }
