{% macro is_no_home(accommodation) -%}
    {#- True if an applicant was in no home of their own or their family's: the address is then no residence. -#}
    coalesce({{ accommodation }} in ('NO_FIXED_ABODE', 'ROUGH_SLEEPING', 'TEMPORARY'), false)
{%- endmacro %}
