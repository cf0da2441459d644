-- For each line: whether a value at the paths of the contract is a list or an object.
select len(list_filter(json_type(line, $values), lambda kind: kind = 'ARRAY' or kind = 'OBJECT')) > 0
from lines
